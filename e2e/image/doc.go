// Package image tests the container image where no container runtime is at
// hand: the last stage of the Dockerfile is laid out in a directory and its
// entrypoint runs in a chroot of it, as the image's user, with the image's
// environment and nothing else.
package image
