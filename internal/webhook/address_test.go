package webhook_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/cozeq/cozeq/internal/redistest"
	"github.com/cozeq/cozeq/internal/tasktest"
	"github.com/cozeq/cozeq/internal/webhook"
	"github.com/cozeq/cozeq/tasks"
)

func TestTargets(t *testing.T) {
	rdb := redistest.Embedded(t)
	closed := newRig(t, rdb, func(c *webhook.Config) { c.Allow = nil })
	open := newRig(t, rdb, func(c *webhook.Config) {
		c.Allow, _ = webhook.ParseAllow("10.1.0.0/16", "127.0.0.1", "::1", "fd00::/8", "64:ff9b::/96")
	})
	const public, private = "public", "not a public address"
	for text, want := range map[string][2]string{ // without and with allowed networks
		"https://example.com/hook?a=b":                     {public, public},
		"https://93.184.215.14:8443":                       {public, public},
		"https://[2606:2800:21f::1]/":                      {public, public},
		"https://10.1.2.3/":                                {private, public},
		"https://10.2.0.1/":                                {private, private},
		"https://127.0.0.1/":                               {private, public},
		"https://127.0.0.2/":                               {private, private},
		"https://[::1]/":                                   {private, public},
		"https://[::ffff:127.0.0.1]/":                      {private, public},
		"https://[::ffff:10.2.0.1]/":                       {private, private},
		"https://[::127.0.0.1]/":                           {private, private},
		"https://169.254.169.254/latest":                   {private, private},
		"https://100.100.100.200/":                         {private, private},
		"https://192.168.1.1/":                             {private, private},
		"https://172.31.0.1/":                              {private, private},
		"https://0.0.0.0/":                                 {private, private},
		"https://255.255.255.255/":                         {private, private},
		"https://224.0.0.1/":                               {private, private},
		"https://192.0.0.170/":                             {private, private},
		"https://198.18.0.1/":                              {private, private},
		"https://203.0.113.9/":                             {private, private},
		"https://[fe80::1]/":                               {private, private},
		"https://[fd12::1]/":                               {private, public},
		"https://[fc12::1]/":                               {private, private},
		"https://[ff02::1]/":                               {private, private},
		"https://[64:ff9b::7f00:1]/":                       {private, public},
		"https://[64:ff9b:1::7f00:1]/":                     {private, private},
		"https://[2002:7f00:1::]/":                         {private, private},
		"https://[2001:0:1::]/":                            {private, private},
		"https://[2001:db8::1]/":                           {private, private},
		"https://[5f00::1]/":                               {private, private},
		"https://[100::1]/":                                {private, private},
		"https://localhost/":                               {"this machine", public},
		"https://a.localhost./":                            {"this machine", public},
		"http://example.com/":                              {"use https", public}, // checked when it is connected to
		"http://93.184.215.14/":                            {"use https", "use https"},
		"http://10.1.2.3/":                                 {"use https", public},
		"https://user:pw@example.com/":                     {"user or password", "user or password"},
		"https://example.com/#x":                           {"fragment", "fragment"},
		"https://example.com:0/":                           {"port", "port"},
		"https://example.com:/":                            {"port", "port"},
		"https://example.com:99999/":                       {"port", "port"},
		"https:///hook":                                    {"no host", "no host"},
		"https:example.com":                                {"not a URL", "not a URL"},
		"ftp://example.com/":                               {"begins with https://", "begins with https://"},
		"example.com/hook":                                 {"begins with https://", "begins with https://"},
		"https://example.com/a b":                          {"spaces", "spaces"},
		"https://[fe80::1%25eth0]/":                        {"zone", "zone"},
		"":                                                 {"missing", "missing"},
		"https://example.com/" + strings.Repeat("x", 2048): {"at most 2048", "at most 2048"},
	} {
		for i, r := range []*rig{closed, open} {
			err := r.Check(webhook.Target{URL: text})
			bad, _ := errors.AsType[*tasks.InvalidError](err)
			if want[i] == public && err != nil || want[i] != public && (bad == nil || bad.Field != "webhook.url" || !strings.Contains(bad.Reason, want[i])) {
				t.Errorf("%q, allowed networks %v: %v, want %s", text, i == 1, err, want[i])
			}
		}
	}
	none := newRig(t, rdb, func(c *webhook.Config) { c.Secrets = nil })
	if err := none.Check(webhook.Target{URL: "https://example.com"}); err == nil || !strings.Contains(err.Error(), "COZEQ_WEBHOOK_SECRETS_FILE") {
		t.Errorf("without secrets: %v", err)
	}
}

func TestParseAllow(t *testing.T) {
	got, err := webhook.ParseAllow("10.1.2.3/16", "::ffff:192.168.0.0/112", "127.0.0.1")
	if err != nil || len(got) != 3 || got[0].String() != "10.1.0.0/16" || got[1].String() != "192.168.0.0/16" || got[2].String() != "127.0.0.1/32" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "example.com", "0.0.0.0/0", "::/0", "10.0.0.0/7", "fe80::1%eth0", "::ffff:0:0/64"} {
		if got, err := webhook.ParseAllow(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// nameServer answers each question for an address with these, whatever the name.
type nameServer struct {
	mu    sync.Mutex
	addrs []netip.Addr
}

func (n *nameServer) set(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = nil
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

// start serves DNS on a free port of loopback and returns a resolver that asks there.
func (n *nameServer) start(t *testing.T) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.reply(buf[:size]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// reply answers one question of one name (RFC 1035, 4.1): the header and the question as they came, then the answers.
func (n *nameServer) reply(query []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	kind := binary.BigEndian.Uint16(query[end-4:])
	reply := append([]byte(nil), query[:end]...)
	reply[2], reply[3] = 0x81, 0x80             // an answer
	copy(reply[6:12], []byte{0, 0, 0, 0, 0, 0}) // counts of records
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.addrs {
		if want := map[bool]uint16{true: 1, false: 28}[a.Is4()]; want != kind {
			continue
		}
		reply[7]++
		reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
		reply = append(reply, a.AsSlice()...)
	}
	return reply
}

// A name that resolves to something else a moment later is no way around the guard.
func TestDNSRebinding(t *testing.T) {
	t.Parallel()
	names := new(nameServer)
	names.set("127.0.0.1")
	r := newRig(t, redistest.Embedded(t), func(c *webhook.Config) {
		c.Allow, _ = webhook.ParseAllow("127.0.0.1")
		c.Resolver = names.start(t)
	})
	r.receiver.answers(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	r.receiver.Config.SetKeepAlivesEnabled(false)
	// A second server on another address of loopback, on the same port: what a rebinding wants to get at.
	u, _ := url.Parse(r.receiver.URL)
	inner, err := net.Listen("tcp", "127.0.0.2:"+u.Port())
	if err != nil {
		t.Skip(err)
	}
	defer inner.Close()
	reached := make(chan bool, 1)
	go func() {
		_, err := inner.Accept()
		reached <- err == nil
	}()
	target := webhook.Target{URL: "https://example.com:" + u.Port() + "/hook"}
	r.start()
	end := func(id string) {
		r.Must(r.Schedule(t.Context(), webhook.Task, id, target))
		r.Enqueue(tasktest.Turn(""), id)
		r.Answer(id)
	}
	end("a")
	if d := r.receiver.next(t); d.id() != "a" {
		t.Errorf("delivered %s", d.id())
	}
	r.comesTo("wh-a", asynq.TaskStateCompleted, 0)
	for id, addr := range map[string]string{"b": "127.0.0.2", "c": "::ffff:127.0.0.2", "d": "10.0.0.1", "e": "fd00::1"} {
		names.set(addr)
		end(id)
		if info := r.comesTo("wh-"+id, asynq.TaskStateRetry, 1); !strings.Contains(info.LastErr, "not a public address") {
			t.Errorf("%s: %q", addr, info.LastErr)
		}
	}
	// Of several addresses the ones that are not allowed are passed over.
	names.set("127.0.0.2", "10.0.0.1", "127.0.0.1")
	end("f")
	if d := r.receiver.next(t); d.id() != "f" {
		t.Errorf("delivered %s", d.id())
	}
	inner.Close()
	if <-reached {
		t.Error("the inner server was connected to")
	}
}
