package wire

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"tallystick/events"
)

// noHash leaves out the content hash, which is measured with the keyring.
type noHash struct{ *fakeKeyring }

func (noHash) ContentHash(b []byte) events.Digest { return events.Digest{byte(len(b))} }

// BenchmarkUsage measures reading usage, without its content hash. One op is one usage event of two properties.
func BenchmarkUsage(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			d, k, _ := newTestDecoder()
			d.opts.Keyring = noHash{k}
			plain := strings.Replace(usage, `,"metadata":{"b":"2","a":"1"}`, ``, 1)
			plain = strings.Join(strings.Fields(plain), "")
			body := plain
			if n > 1 {
				body = `{"events":[` + strings.Repeat(plain+",", n-1) + plain + `]}`
			}
			raw := []byte(fill(body))
			b.SetBytes(int64(len(raw) / n))
			b.ReportAllocs()
			before := cpu()
			for i := 0; b.Loop(); {
				if i++; i%n != 0 {
					continue
				}
				w, err := d.Command(context.Background(), "ReportUsage", merchant, owner, raw)
				if err != nil {
					b.Fatal(err)
				}
				w.Release()
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the processor time of this process so far, in nanoseconds: what counts on a machine that others use too.
func cpu() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
