package embeddedredis

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
	luajson "github.com/alicebob/miniredis/v2/gopher-json"
	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// scripts runs EVAL and EVALSHA in place of miniredis, which makes an interpreter with all its libraries for each call:
// 38 % of a run's CPU, and most of its garbage. As in Redis there is one interpreter for all scripts. It needs no lock
// of its own: a script runs under miniredis' one.
//
// Scripts in a transaction, and the _RO commands, are left to miniredis. Every script is known to both.
type scripts struct {
	mini     *miniredis.Miniredis
	server   *server.Server
	versions *versions

	state    *lua.LState
	compiled map[string]*lua.LFunction // by the script's SHA-1
	inMulti  map[*server.Peer]bool

	peer  *server.Peer // redis.call's connection, marked as nested: its commands don't lock
	out   *bufio.Writer
	reply bytes.Buffer
	hash  string // of the script that runs
}

// captureCommand is called once, by a script, to get at the context that miniredis gives to commands within scripts.
const captureCommand = "LOCALREDIS.CAPTURE"

func takeScripts(mini *miniredis.Miniredis, srv *server.Server, versions *versions) error {
	s := &scripts{
		mini: mini, server: srv, versions: versions,
		compiled: map[string]*lua.LFunction{},
		inMulti:  map[*server.Peer]bool{},
	}
	s.out = bufio.NewWriter(&s.reply)
	s.peer = server.NewPeer(s.out)
	err := srv.Register(captureCommand, func(c *server.Peer, _ string, _ []string) {
		s.peer.Ctx = c.Ctx
		c.WriteOK()
	})
	if err != nil {
		return err
	}
	srv.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"EVAL", "return redis.call('" + captureCommand + "')", "0"})
	if s.peer.Ctx == nil {
		return errors.New("embedded redis: no context for scripts")
	}
	if err := s.start(); err != nil {
		return err
	}
	srv.SetPreHook(s.hook)
	return nil
}

// strict keeps scripts from making or reading globals that are not there, as Redis does: they share the interpreter.
const strict = `setmetatable(_G, {
	__newindex = function(_, name) error("Script attempted to create global variable '" .. tostring(name) .. "'", 2) end,
	__index = function(_, name) error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2) end,
})`

// start makes the interpreter, with the libraries that scripts may use.
func (s *scripts) start() error {
	// A script may unpack as many values as its registry holds, some 8,000 in Redis.
	s.state = lua.NewState(lua.Options{SkipOpenLibs: true, RegistrySize: 1 << 10, RegistryMaxSize: 1 << 16, RegistryGrowStep: 1 << 10})
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName:   lua.OpenBase,
		lua.TabLibName:    lua.OpenTable,
		lua.StringLibName: lua.OpenString,
		lua.MathLibName:   lua.OpenMath,
		"json":            luajson.Loader,
	} {
		s.state.Push(s.state.NewFunction(open))
		s.state.Push(lua.LString(name))
		s.state.Call(1, 1)
		if name == "json" {
			s.state.SetGlobal("cjson", s.state.Get(-1))
		}
		s.state.Pop(1)
	}
	for _, name := range []string{"print", "dofile", "loadfile", "load", "loadstring", "module", "require", "collectgarbage", "newproxy"} {
		s.state.SetGlobal(name, lua.LNil)
	}
	s.state.SetGlobal("redis", s.state.SetFuncs(s.state.NewTable(), map[string]lua.LGFunction{
		"call":         func(l *lua.LState) int { return s.call(l, true) },
		"pcall":        func(l *lua.LState) int { return s.call(l, false) },
		"error_reply":  errorReply,
		"status_reply": func(l *lua.LState) int { l.Push(field(l, "ok", l.CheckString(1))); return 1 },
		"sha1hex":      func(l *lua.LState) int { l.Push(lua.LString(sha1Hex(l.CheckString(1)))); return 1 },
	}))
	return s.state.DoString(strict)
}

// hook sees each command before miniredis does; true: it is done.
func (s *scripts) hook(c *server.Peer, cmd string, args ...string) bool {
	switch cmd {
	case "EVAL", "EVALSHA":
		return len(args) >= 2 && c != s.peer && s.eval(c, cmd == "EVAL", args)
	case "SCRIPT":
		if len(args) == 2 && strings.EqualFold(args[0], "load") {
			s.mini.Lock()
			defer s.mini.Unlock()
			s.compile(args[1])
		}
		if len(args) > 0 && strings.EqualFold(args[0], "flush") {
			s.mini.Lock()
			defer s.mini.Unlock()
			clear(s.compiled)
		}
	case "WATCH":
		s.versions.keep()
	case "MULTI":
		s.mini.Lock()
		defer s.mini.Unlock()
		if _, known := s.inMulti[c]; !known {
			c.OnDisconnect(func() {
				s.mini.Lock()
				defer s.mini.Unlock()
				delete(s.inMulti, c)
			})
		}
		s.inMulti[c] = true
	case "EXEC", "DISCARD":
		s.mini.Lock()
		defer s.mini.Unlock()
		if s.inMulti[c] {
			s.inMulti[c] = false
		}
	}
	return false
}

// eval runs a script. It reports false where miniredis is to do it: within a transaction, for a hash that is not known
// here, and for a call that is not well formed.
func (s *scripts) eval(c *server.Peer, source bool, args []string) bool {
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 0 || n > len(args)-2 {
		return false
	}
	hash := args[0]
	if source {
		hash = s.load(args[0])
	}
	s.mini.Lock()
	defer s.mini.Unlock()
	if s.inMulti[c] {
		return false
	}
	script, ok := s.compiled[hash]
	if !ok {
		return false
	}
	s.hash = hash
	s.state.G.Global.RawSetString("KEYS", s.table(args[2:2+n]))
	s.state.G.Global.RawSetString("ARGV", s.table(args[2+n:]))
	s.state.Push(script)
	if err := s.state.PCall(0, 1, nil); err != nil {
		c.WriteError(s.failure(err))
	} else {
		c.Block(func(w *server.Writer) { write(w, s.state.Get(-1)) })
	}
	s.state.SetTop(0)
	return true
}

// load makes a script known here, by way of hook, and to miniredis.
func (s *scripts) load(source string) (hash string) {
	hash = sha1Hex(source)
	s.mini.Lock()
	known := s.compiled[hash] != nil
	s.mini.Unlock()
	if !known {
		s.server.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"SCRIPT", "LOAD", source})
	}
	return hash
}

// compile makes a script known here. One with an error stays unknown: miniredis gets it and says what is wrong.
func (s *scripts) compile(source string) {
	chunk, err := parse.Parse(strings.NewReader(source), "user_script")
	if err != nil {
		return
	}
	if proto, err := lua.Compile(chunk, "user_script"); err == nil {
		s.compiled[sha1Hex(source)] = s.state.NewFunctionFromProto(proto)
	}
}

func (s *scripts) table(values []string) *lua.LTable {
	t := s.state.CreateTable(len(values), 0)
	for _, v := range values {
		t.Append(lua.LString(v))
	}
	return t
}

// call is redis.call and redis.pcall: raise says whether an error ends the script.
func (s *scripts) call(l *lua.LState, raise bool) int {
	args := make([]string, l.GetTop())
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = string(v)
		case lua.LNumber:
			args[i] = v.String()
		default:
			l.RaiseError("Lua redis lib command arguments must be strings or integers")
		}
	}
	if len(args) == 0 {
		l.RaiseError("Please specify at least one argument for this redis.call()")
	}
	s.reply.Reset()
	s.server.Dispatch(s.peer, args)
	_ = s.out.Flush() // to memory
	value, _ := read(s.reply.Bytes(), l)
	if t, ok := value.(*lua.LTable); ok && raise && t.RawGetString("err") != lua.LNil {
		l.Error(t, 0)
	}
	l.Push(value)
	return 1
}

// failure is the reply to a script that failed: the command's own error, as in Redis, or the script's.
func (s *scripts) failure(err error) string {
	raised, ok := errors.AsType[*lua.ApiError](err)
	if !ok {
		return "ERR " + err.Error()
	}
	if t, ok := raised.Object.(*lua.LTable); ok {
		return fmt.Sprintf("%s script: %s", t.RawGetString("err"), s.hash)
	}
	return fmt.Sprintf("ERR %s script: %s", raised.Object, s.hash)
}

// read takes one RESP2 reply from the beginning of b, as a value for Lua.
func read(b []byte, l *lua.LState) (value lua.LValue, rest []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if len(line) == 0 {
		return lua.LFalse, nil // a command without a reply
	}
	text := string(line[1:])
	switch line[0] {
	case '+':
		return field(l, "ok", text), rest
	case '-':
		return field(l, "err", text), rest
	case ':':
		n, _ := strconv.ParseInt(text, 10, 64)
		return lua.LNumber(n), rest
	}
	n, _ := strconv.Atoi(text)
	switch {
	case n < 0:
		return lua.LFalse, rest
	case line[0] == '$':
		return lua.LString(rest[:n]), rest[n+2:]
	}
	list := l.CreateTable(n, 0)
	for range n {
		value, rest = read(rest, l)
		list.Append(value)
	}
	return list, rest
}

func write(w *server.Writer, value lua.LValue) {
	switch v := value.(type) {
	case lua.LString:
		w.WriteBulk(string(v))
	case lua.LNumber:
		w.WriteInt(int(v))
	case *lua.LTable:
		if err := v.RawGetString("err"); err != lua.LNil {
			w.WriteError(err.String())
			return
		}
		if ok := v.RawGetString("ok"); ok != lua.LNil {
			w.WriteInline(ok.String())
			return
		}
		n := 0 // a list ends before its first nil
		for v.RawGetInt(n+1) != lua.LNil {
			n++
		}
		w.WriteLen(n)
		for i := range n {
			write(w, v.RawGetInt(i+1))
		}
	default:
		if v == lua.LTrue {
			w.WriteInt(1)
			return
		}
		w.WriteNull()
	}
}

// errorReply is redis.error_reply: an error without a code gets ERR.
func errorReply(l *lua.LState) int {
	text := strings.TrimPrefix(l.CheckString(1), "-")
	if !strings.Contains(text, " ") {
		text = "ERR " + text
	}
	l.Push(field(l, "err", text))
	return 1
}

// field is a table of one field. Without its size gopher-lua makes room for 32, which was a sixth of the bytes that a run
// allocates: each status reply within a script is such a table.
func field(l *lua.LState, name, value string) *lua.LTable {
	t := l.CreateTable(0, 1)
	t.RawSetString(name, lua.LString(value))
	return t
}

func sha1Hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
