// Package charset detects the encoding of a text file and reads it as UTF-8.
//
// Chinese files come as UTF-8, as GB18030 (which contains GBK and GB2312) and, from Excel, as UTF-16. [Sniff] decides from a
// bounded part of the file: by the byte order mark, else by which encoding the bytes are text in. [NewReader] decodes. It
// does not hide an unreadable character behind U+FFFD: it leaves a byte that is invalid UTF-8, so that a later check of
// the lines can say which line it is.
//
// It does not detect every encoding: Big5, Shift JIS and Windows-1252 are recognised as neither UTF-8 nor GB18030, and
// refused rather than asked as gibberish. EUC-KR, EUC-JP and KOI8-R cannot be told from GB18030. It imports no package of this module, and internal/input is its only user.
package charset
