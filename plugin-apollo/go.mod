module github.com/easynet-cn/batata/plugin-apollo

go 1.26.0

toolchain go1.26.8
