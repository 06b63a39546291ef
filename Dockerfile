# Builds with nothing but the Go image and the module proxy: the program is
# linked statically and stands alone in the image, without a system around it.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -tags netgo,osusergo,timetzdata,sqlite_omit_load_extension \
    -ldflags '-s -w -linkmode external -extldflags "-static"' -o /out/postroom ./cmd/postroom \
 && mkdir -p /out/tmp /out/etc/postroom /out/var/lib/postroom

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /
ENV PATH=/ POSTROOM_CONFIG=/etc/postroom/postroom.toml POSTROOM_DATA=/var/lib/postroom
# init writes its file into this folder.
WORKDIR /etc/postroom
VOLUME /var/lib/postroom
EXPOSE 25 80 110 443 465 587 995 8080
HEALTHCHECK --start-period=30s --interval=30s --timeout=5s CMD ["/postroom", "health"]
ENTRYPOINT ["/postroom"]
CMD ["serve"]
