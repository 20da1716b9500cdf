package server

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A renewed certificate is served without a restart; a broken one is not, and is
// told about.
func TestCertificateReload(t *testing.T) {
	files, _ := certificate(t)
	renewed, _ := certificate(t)
	sink, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		c, err := openCertificates(files, zap.New(sink))
		if err != nil {
			t.Fatalf("openCertificates() = %v", err)
		}
		defer c.close()
		serial := func() string {
			cert, err := c.config().GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			return string(cert.Certificate[0])
		}
		first := serial()
		pass := func() {
			time.Sleep(reloadEvery) //nolint:forbidigo // the clock of the bubble
			synctest.Wait()
		}
		pass()
		if got := logs.Len(); got != 0 {
			t.Errorf("log lines about files that did not change = %d, want none", got)
		}
		replace(t, files.CertFile, renewed.CertFile, 1)
		pass()
		if serial() != first || logs.FilterMessageSnippet("not reloaded").Len() != 1 {
			t.Error("a certificate without its key was taken, or nobody was told")
		}
		replace(t, files.KeyFile, renewed.KeyFile, 1)
		pass()
		if serial() == first || logs.FilterMessage("certificate reloaded").Len() != 1 {
			t.Errorf("the renewed certificate is not served: %v", logs.All())
		}
	})
}

// replace copies a file and moves its time of change, which disks round.
func replace(t *testing.T, to, from string, hours int) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err == nil {
		at := time.Unix(0, 0).Add(time.Duration(hours) * time.Hour)
		err = os.Chtimes(to, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is wrong with the files is told by the key that names them.
func TestCertificateErrors(t *testing.T) {
	good, _ := certificate(t)
	other, _ := certificate(t)
	tests := map[string]struct {
		files TLS
		want  string
	}{
		"no authorities":   {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCAFile: "no.pem"}, "server.tls.client_ca_file: open no.pem"},
		"empty ones":       {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCAFile: good.KeyFile}, "holds no certificate"},
		"key of another":   {TLS{CertFile: good.CertFile, KeyFile: other.KeyFile}, "server.tls: tls: private key does not match"},
		"authorities only": {TLS{ClientCAFile: good.CertFile}, "server.tls: no cert_file and key_file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := openCertificates(tt.files, zap.NewNop())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("openCertificates() = %v, %v, want %q", c, err, tt.want)
			}
		})
	}
}
