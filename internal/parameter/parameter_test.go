package parameter_test

import (
	"encoding/json"
	"testing"

	"github.com/cozeq/cozeq/internal/parameter"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // "" = an error
	}{
		{nil, `{}`},
		{[]string{"city=Berlin", "days:int= 3", "warm:bool=Yes", "share:float=0.50", "list:json=[1, 2]", "a:b=c=d"},
			`{"a:b":"c=d","city":"Berlin","days":3,"list":[1,2],"share":0.5,"warm":true}`},
		{[]string{`{"city":"Berlin","n":12345678901234567890}`}, `{"city":"Berlin","n":12345678901234567890}`},
		{[]string{"city"}, ""},
		{[]string{"=x"}, ""},
		{[]string{"a=1", "a:int=1"}, ""},
		{[]string{"n:int=1.5"}, ""},
		{[]string{"n:float=NaN"}, ""},
		{[]string{"n:bool=maybe"}, ""},
		{[]string{"n:json={"}, ""},
		{[]string{"n=\xff"}, ""},
		{[]string{`{"a":1} {}`}, ""},
		{[]string{`{"a":1`}, ""},
	} {
		all, err := parameter.Parse(tt.args)
		got, _ := json.Marshal(all)
		if err != nil {
			got = nil
		}
		if string(got) != tt.want {
			t.Errorf("%q: %s, %v, want %s", tt.args, got, err, tt.want)
		}
	}
}
