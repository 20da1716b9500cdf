package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/easynet-cn/batata/plugin-nacos/internal/authmap"
	nacospb "github.com/easynet-cn/batata/proto/nacos"
)

// registered is a server with one type that reads everything, and the context of
// a registered connection.
func registered(tb testing.TB) (*Server, context.Context) {
	tb.Helper()
	s, err := New(Settings{
		Gate: authmap.NewGate(nil, authmap.Switches{}), Logger: zap.NewNop(), Metrics: prometheus.NewRegistry(),
		Ready: func(context.Context) error { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.Handle("EveryRequest", Handler{
		Response: "EveryResponse",
		Handle: func(_ context.Context, c *Call) (Answer, error) {
			c.Body.Fields(func(_ string, v gjson.Result) { _, _, _ = v.String(), v.Int(), v.Bool() })
			return Encode("EveryResponse", OK), nil
		},
	})
	c := newConn(s, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, time.Unix(1, 0))
	c.setup.Store(&Setup{})
	return s, context.WithValue(tb.Context(), connKey{}, c)
}

// FUZ-01: whatever a payload holds, the answer is a well-formed one of a known
// class.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{`{}`, `{"a":1,"b":null,"c":["x"]}`, `not json`, ``, `[`, strings.Repeat("[", 100), `{"a":"\ud800"}`, `{"a":1e999}`} {
		for _, kind := range []string{"EveryRequest", "ServerCheckRequest", "HealthCheckRequest", "DistroDataRequest", "Nothing"} {
			b, err := proto.Marshal(&nacospb.Payload{
				Metadata: &nacospb.Metadata{Type: kind, Headers: map[string]string{"accessToken": "x"}},
				Body:     &anypb.Any{Value: []byte(body)},
			})
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add([]byte{0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := new(nacospb.Payload)
		if proto.Unmarshal(b, p) != nil {
			return // the transport refuses it
		}
		s, ctx := registered(t)
		a := s.Call(ctx, p)
		var status Status
		if err := json.Unmarshal(a.Body, &status); err != nil {
			t.Fatalf("answer %s %q: %v", a.Type, a.Body, err)
		}
		if status.Success != (status.ResultCode == 200) || status.Success != (status.ErrorCode == 0) {
			t.Errorf("answer %s = %+v, want the three to agree (NAC-ERR-23)", a.Type, status)
		}
		if !isAnswer(a.Type) {
			t.Errorf("class of the answer = %q, want one of a response", a.Type)
		}
		parseSetup(p, "127.0.0.1")
	})
}

// NAC-ERR: the checks run in their order.
func TestOrderOfChecks(t *testing.T) {
	s, ctx := registered(t)
	fresh := newConn(s, &net.TCPAddr{}, time.Unix(1, 0))
	unregistered := context.WithValue(t.Context(), connKey{}, fresh)
	for _, c := range []struct {
		name, kind, body string
		ctx              context.Context
		want             string
	}{
		{"unknown type, not registered", "NoSuchRequest", "{}", unregistered, `{"resultCode":500,"errorCode":302,"message":"RequestHandler Not Found","success":false}`},
		{"an answer as type", "EveryResponse", "{}", ctx, `{"resultCode":500,"errorCode":302,"message":"RequestHandler Not Found","success":false}`},
		{"not registered, unreadable", "EveryRequest", "not json", unregistered, `{"resultCode":500,"errorCode":301,"message":"Connection is unregistered.","success":false}`},
		{"unreadable", "EveryRequest", "not json", ctx, `{"resultCode":500,"errorCode":502,"message":"errCode: 101, errMsg: Nacos deserialize failed.  ","success":false}`},
		{"inner type", "DistroDataRequest", "{}", ctx, `{"resultCode":500,"errorCode":502,"message":" invoke DistroDataRequest from sdk is forbidden","success":false}`},
		{"server check, not registered, unreadable", "ServerCheckRequest", "not json", unregistered, `{"resultCode":200,"errorCode":0,"success":true,"connectionId":"` + fresh.ID() + `","supportAbilityNegotiation":true}`},
		{"health", "HealthCheckRequest", "{}", ctx, `{"resultCode":200,"errorCode":0,"success":true}`},
		{"health, not registered", "HealthCheckRequest", "{}", unregistered, `{"resultCode":500,"errorCode":301,"message":"Connection is unregistered.","success":false}`},
		{"no connection", "EveryRequest", "{}", t.Context(), `{"resultCode":500,"errorCode":300,"message":"Server is starting,please try later.","success":false}`},
	} {
		a := s.Call(c.ctx, &nacospb.Payload{Metadata: &nacospb.Metadata{Type: c.kind}, Body: &anypb.Any{Value: []byte(c.body)}})
		if string(a.Body) != c.want {
			t.Errorf("%s = %s %s, want %s", c.name, a.Type, a.Body, c.want)
		}
	}
}

// A handler that panics costs its call alone.
func TestHandlerPanics(t *testing.T) {
	s, ctx := registered(t)
	s.Handle("PanicRequest", Handler{Response: "PanicResponse", Handle: func(context.Context, *Call) (Answer, error) { panic("boom") }})
	a := s.Call(ctx, &nacospb.Payload{Metadata: &nacospb.Metadata{Type: "PanicRequest"}, Body: &anypb.Any{Value: []byte("{}")}})
	if want := `{"resultCode":500,"errorCode":500,"message":"server error","success":false}`; string(a.Body) != want {
		t.Errorf("answer = %s, want %s", a.Body, want)
	}
}

// What is nested without end is refused before anything follows it down.
func TestNesting(t *testing.T) {
	if _, ok := ParseBody([]byte(`{"a":` + strings.Repeat("[", 5<<20))); ok {
		t.Error("ParseBody() of five million brackets = ok, want a refusal")
	}
	for _, twice := range []string{`{"a":1,"a":1}`, `{"a":1,"b":{"a":2},"a":null}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`} {
		if _, ok := ParseBody([]byte(twice)); ok {
			t.Errorf("ParseBody(%s) = ok, want a refusal: one reader takes the first, another the last", twice)
		}
	}
	var many strings.Builder
	for i := range maxKeys {
		fmt.Fprintf(&many, `"%d":1,`, i)
	}
	if _, ok := ParseBody([]byte("{" + strings.TrimSuffix(many.String(), ",") + "}")); !ok {
		t.Errorf("ParseBody() of %d keys = false, want it read", maxKeys)
	}
	if _, ok := ParseBody([]byte("{" + many.String() + `"more":1}`)); ok {
		t.Errorf("ParseBody() of more than %d keys = ok, want a refusal", maxKeys)
	}
	if _, ok := ParseBody([]byte(`[1]`)); ok {
		t.Error("ParseBody() of a list = ok, want a refusal")
	}
}
