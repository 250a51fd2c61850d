package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
)

// Limit says how often a key may ask: so many requests a second, and so many at once after a rest.
type Limit struct {
	PerSecond int // 0 means as often as it likes
	Burst     int // default twice PerSecond
}

// limiter counts the requests of each key. Each has an allowance that grows with time up to the burst, and
// gets smaller by one with each request (a token bucket).
type limiter struct {
	limit Limit

	mu   sync.Mutex // guards the field below
	keys map[events.KeyID]allowance
}

// allowance is how many requests a key had left, and when. It is kept in nanoseconds of the time that they take to grow.
type allowance struct {
	at   time.Time
	left time.Duration
}

// maxAllowances is how many keys' allowances are kept; then those that are full again are forgotten.
const maxAllowances = 1 << 16

func newLimiter(l Limit) *limiter {
	if l.Burst == 0 {
		l.Burst = 2 * l.PerSecond
	}
	return &limiter{limit: l, keys: make(map[events.KeyID]allowance)}
}

// allow counts a request of a key, writes the headers that say what is left of its allowance, and refuses it where
// nothing is.
func (l *limiter) allow(key events.KeyID, now time.Time, header http.Header) *problem {
	if l.limit.PerSecond == 0 {
		return nil
	}
	each := time.Second / time.Duration(l.limit.PerSecond)
	full := each * time.Duration(l.limit.Burst)
	l.mu.Lock()
	a, known := l.keys[key]
	if !known {
		a = allowance{now, full}
	}
	a.left = min(full, a.left+max(now.Sub(a.at), 0))
	a.at = now
	ok := a.left >= each
	if ok {
		a.left -= each
	}
	if len(l.keys) >= maxAllowances && !known {
		l.forget(now, full)
	}
	l.keys[key] = a
	l.mu.Unlock()

	header.Set("RateLimit-Limit", strconv.Itoa(l.limit.Burst))
	header.Set("RateLimit-Remaining", strconv.Itoa(int(a.left/each)))
	header.Set("RateLimit-Reset", seconds(full-a.left))
	if ok {
		return nil
	}
	header.Set("Retry-After", seconds(each-a.left))
	return &problem{rejection: commands.Reject(commands.RateLimited, "this key may send %d requests a second", l.limit.PerSecond)}
}

// forget forgets the keys whose allowance is full, which is what one that is not known has. Where there is none, it forgets all.
func (l *limiter) forget(now time.Time, full time.Duration) {
	for key, a := range l.keys {
		if a.left+now.Sub(a.at) >= full {
			delete(l.keys, key)
		}
	}
	if len(l.keys) >= maxAllowances {
		clear(l.keys)
	}
}

// seconds returns a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((max(d, 0) + time.Second - 1) / time.Second))
}
