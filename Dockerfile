# Batata in a container: one static binary, no shell, an unprivileged user.
# The image leaves protected mode with authentication on; it wants a password for
# the first administrator, see docker-compose.yml.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X github.com/easynet-cn/batata/server.version=${VERSION}" \
      -o /out/app/bin/batata ./server/cmd/batata \
 && mkdir -p /out/app/conf /out/app/data \
 && cp conf/application.yml.example /out/app/conf/ \
 && chown -R 65532:65532 /out/app

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/app /app
USER 65532:65532
WORKDIR /app
ENV BATATA_DATA_DIR=/app/data \
    NACOS_CORE_AUTH_ENABLED=true
EXPOSE 8848 9848 9849
VOLUME ["/app/data"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/app/bin/batata", "health"]
ENTRYPOINT ["/app/bin/batata"]
CMD ["server"]
