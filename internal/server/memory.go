package server

import (
	"github.com/KimMachineGun/automemlimit/memlimit"

	"tallystick/projections/views"
)

// sized returns options of the views with the memory for rows and blocks that suits the machine, or the container. A row that is
// not in memory is read from the disk before it changes, which takes a hundred times as long as the change: a ledger whose usage
// is spread over a million wallets keeps up with it only if their rows are in memory. Memory is taken as the rows come.
func sized(opts views.Options) views.Options {
	const (
		rowBytes   = 400 // about what a row in memory takes
		leastRows  = 1 << 18
		mostRows   = 16 << 20
		leastCache = 64 << 20
		mostCache  = 512 << 20
	)
	total, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
	if err != nil {
		return opts // the defaults, which suit a small machine
	}
	opts.MaxRows = int(min(max(total/4/rowBytes, leastRows), mostRows))
	opts.CacheBytes = int64(min(max(total/64, leastCache), mostCache))
	return opts
}
