package webhook

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cozeq/cozeq/internal/textfile"
)

// secretsCheck is the time between two looks at the file.
const secretsCheck = time.Second

// Secrets are the named secrets of a file. The file is read again when its modification time, size or identity changes, so
// a secret that is added signs within a second. While the file is missing or has a fault, the last good secrets stay.
type Secrets struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	set     *secretSet
	info    os.FileInfo // of the file when it was last read
	checked time.Time
	fault   string // of the last look; logged when it changes
}

// LoadSecrets reads a file of lines NAME whsec_BASE64. One that everybody on the machine can read or write is refused. The
// log, which may be nil, hears of later faults.
func LoadSecrets(path string, log *slog.Logger) (*Secrets, error) {
	if strings.Contains(path, secretPrefix) {
		return nil, errors.New("it is a secret, want the name of a file that holds it")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Secrets{path: path, log: log, checked: time.Now()}
	if err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Secrets) read() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if s.info != nil && os.SameFile(info, s.info) && info.Size() == s.info.Size() && info.ModTime().Equal(s.info.ModTime()) {
		if s.fault == "" {
			return nil
		}
		return errors.New(s.fault)
	}
	s.info = info
	if mode := info.Mode().Perm(); mode&0o007 != 0 && runtime.GOOS != "windows" { // where permissions are no bits
		return fmt.Errorf("%s: everybody on this machine may read or write it (%v): chmod o= %s, and make new secrets if others were there", s.path, mode, s.path)
	}
	text, err := textfile.Read(s.path)
	if err != nil {
		return err
	}
	defer clear(text)
	set, err := parseSecrets(s.path, text)
	if err != nil {
		return err
	}
	s.set = set
	return nil
}

func (s *Secrets) current() *secretSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.checked) >= secretsCheck {
		s.checked = now
		was := s.fault
		if err := s.read(); err != nil {
			s.fault = err.Error()
		} else {
			s.fault = ""
		}
		if s.fault != was && s.fault != "" {
			s.log.Warn("webhook secrets not read again, the earlier ones stay", "err", s.fault)
		} else if s.fault != was {
			s.log.Info("webhook secrets read again")
		}
	}
	return s.set
}

// String names the file and shows no secret.
func (s *Secrets) String() string { return "webhook.Secrets(" + s.path + ")" }

func (s *Secrets) GoString() string { return s.String() }
