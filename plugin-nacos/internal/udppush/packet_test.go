package udppush

import (
	"strconv"
	"strings"
	"testing"
)

// NAC-UDP-05: acknowledgements as SDKs send them, and what is none.
func TestParseAck(t *testing.T) {
	for text, want := range map[string]int64{
		`{"type":"push-ack","lastRefTime":"1452058959035","data":""}`:                        1452058959035,
		`{"type":"push-ack","lastRefTime":1958303322623,"data":""}`:                          1958303322623,
		`{"data":"","lastRefTime":"7","type":"push-ack"}`:                                    7,
		`{"type":"dump-ack","lastRefTime":"7","data":"{}"}`:                                  0,
		`{"type":"push-ack","lastRefTime":"7","data":"` + strings.Repeat("x", maxAck) + `"}`: 0,
		`{"type":"push-ack","lastRefTime":7.5}`:                                              0,
		`{"type":"push-ack","lastRefTime":-7}`:                                               0,
		`{"type":"push-ack","lastRefTime":"9999999999999999999"}`:                            0,
		`{"type":"push-ack","lastRefTime":"`:                                                 0,
		`{"type":"push-ack","lastRefTime":{"a":1}}`:                                          0,
		`{"type":"push-ack","lastRefTime":null}`:                                             0,
		`{"type":"push-ack"}`:                                                                0,
		`{"type":["push-ack"],"lastRefTime":7}`:                                              0,
		strings.Repeat("[", maxAck):                                                          0,
		"":                                                                                   0,
		"\x1f\x8b\x08":                                                                       0,
	} {
		got, ok := parseAck([]byte(text))
		if ok != (want != 0) || ok && got != want {
			t.Errorf("parseAck(%.60s) = %d, %t, want %d", text, got, ok, want)
		}
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte(`{"type":"push-ack","lastRefTime":"1452058959035","data":""}`))
	f.Add([]byte(`{"type":"push-ack","lastRefTime":1958303322623,"data":""}`))
	f.Add([]byte(`{"type":"push-ack","lastRefTime":"","data":""}`))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		ref, ok := parseAck(datagram)
		if !ok {
			return
		}
		if ref <= 0 || len(datagram) > maxAck {
			t.Errorf("parseAck(%q) = %d, want none", datagram, ref)
		}
		again := `{"type":"push-ack","lastRefTime":` + strconv.FormatInt(ref, 10) + `}`
		if got, ok := parseAck([]byte(again)); !ok || got != ref {
			t.Errorf("parseAck(%s) = %d, %t, want %d", again, got, ok, ref)
		}
	})
}

func FuzzAgent(f *testing.F) {
	f.Add("Nacos-Go-Client:v1.0.1")
	f.Add("vip-client4cpp:v1.0.12-b")
	f.Fuzz(func(t *testing.T, text string) {
		if room := roomOf(text); room < 0 || room > maxDatagram || room > 0 && len(text) > maxAgent {
			t.Errorf("roomOf(%q) = %d", text, room)
		}
	})
}
