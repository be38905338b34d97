#!/bin/sh
# Builds the program as the image holds it: sh deploy/build-image.sh OUT [VERSION]
#
# Static, and without the source maps of the dashboard's pages, 5 MB that no browser asks for. They are embedded by a
# dependency, so it is vendored for the time of the build, in a copy of the sources. Without the pages on which gRPC, of
# which the exporter of traces takes two types, would show what it does: 0.1 MB. And without inlining in what reads
# workbooks and sends traces, where it gains little: 0.7 MB.
set -eu
out=$1 version=${2:-dev}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -cf - go.mod go.sum cmd coze gateway internal results tasks worker | tar -xf - -C "$copy"
cd "$copy"
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
go mod vendor
find vendor/github.com/hibiken/asynqmon -name '*.map' -exec rm {} +
CGO_ENABLED=0 go build -mod=vendor \
	-gcflags='github.com/xuri/...=-l' -gcflags='google.golang.org/grpc/...=-l' -gcflags='go.opentelemetry.io/...=-l' \
	-tags grpcnotrace -trimpath -ldflags "-s -w -X main.version=$version" -o "$out" ./cmd/cozeq
