module github.com/easynet-cn/batata/e2e

go 1.26.0

toolchain go1.26.8

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	go.etcd.io/bbolt v1.5.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.49.0
)

require golang.org/x/sync v0.23.0 // indirect
