#!/usr/bin/env bash
# Compares the Go benchmarks of this tree with those of another commit.
set -euo pipefail
ref=${1:-main}
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'git worktree remove --force "$out/ref" 2>/dev/null || true; rm -rf "$out"' EXIT
packages='./events ./ledger ./projections/... ./commands'
git worktree add --quiet --detach "$out/ref" "$ref"
(cd "$out/ref" && go test -run '^$' -bench . -benchmem -count 6 $packages) > "$out/old.txt"
go test -run '^$' -bench . -benchmem -count 6 $packages > "$out/new.txt"
go tool -modfile=tools/go.mod benchstat "$out/old.txt" "$out/new.txt"
