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

// rate is so many requests in a time.
type rate struct {
	n   int // 0 for as many as one likes
	per time.Duration
}

// String returns the rate as people say it.
func (r rate) String() string {
	switch r.per {
	case time.Second:
		return strconv.Itoa(r.n) + " requests a second"
	case time.Minute:
		return strconv.Itoa(r.n) + " requests a minute"
	}
	return strconv.Itoa(r.n) + " requests in " + r.per.String()
}

// limiter counts the requests of each key. Each has an allowance that grows with time up to the burst, and
// gets smaller by one with each request (a token bucket).
type limiter struct {
	rate  rate
	burst int

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
	return &limiter{rate: rate{l.PerSecond, time.Second}, burst: l.Burst, keys: make(map[events.KeyID]allowance)}
}

// limited returns a limiter for one operation, which clients know to take so many requests and no more, all at once or not. Where there is
// no limit on all requests there is none on these.
func (l Limit) limited(r rate) *limiter {
	if l.PerSecond == 0 {
		r.n = 0
	}
	return &limiter{rate: r, burst: r.n, keys: make(map[events.KeyID]allowance)}
}

// allow counts a request of a key, writes the headers that say what is left of its allowance, and refuses it where
// nothing is.
func (l *limiter) allow(key events.KeyID, now time.Time, header http.Header) *problem {
	if l.rate.n == 0 {
		return nil
	}
	each := l.rate.per / time.Duration(l.rate.n)
	full := each * time.Duration(l.burst)
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

	header.Set("RateLimit-Limit", strconv.Itoa(l.burst))
	header.Set("RateLimit-Remaining", strconv.Itoa(int(a.left/each)))
	header.Set("RateLimit-Reset", seconds(full-a.left))
	if ok {
		return nil
	}
	header.Set("Retry-After", seconds(each-a.left))
	return &problem{rejection: commands.Reject(commands.RateLimited, "this key may send %s", l.rate)}
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
