package durability

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(standIn); kind != "" {
		os.Exit(serve(kind, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}
