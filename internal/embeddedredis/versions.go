package embeddedredis

import (
	"errors"
	"reflect"

	"github.com/alicebob/miniredis/v2"
)

// versions are those that miniredis keeps of each key there ever was, for WATCH: 110 bytes for each row of a run, for good. They
// are forgotten at each step of the clock, until a client watches a key: from then on an old one may be needed.
type versions struct {
	mini    *miniredis.Miniredis
	byKey   reflect.Value // a map, private to miniredis
	watched bool
}

func versionsOf(mini *miniredis.Miniredis) (*versions, error) {
	byKey := reflect.ValueOf(mini.DB(0)).Elem().FieldByName("keyVersion")
	if byKey.Kind() != reflect.Map {
		return nil, errors.New("embedded redis: no versions of keys to forget")
	}
	return &versions{mini: mini, byKey: byKey}, nil
}

// keep is called before the first WATCH is.
func (v *versions) keep() {
	v.mini.Lock()
	defer v.mini.Unlock()
	v.watched = true
}

func (v *versions) forget() {
	v.mini.Lock()
	defer v.mini.Unlock()
	if !v.watched {
		v.byKey.Clear()
	}
}
