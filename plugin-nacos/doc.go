// Package nacos is the personality that speaks the protocols of Nacos.
package nacos
