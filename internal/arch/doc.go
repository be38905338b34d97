// Package arch holds the rules of the house as tests: who may import whom, one package comment for each package, no
// file that nobody wants to read, no name that says nothing, nothing left lying about.
//
// The rules read the source files. They do not ask `go list`: a test that runs a program is answered from go's test
// cache after the files changed, and a test that opens the files is not. Nothing may import this package.
package arch
