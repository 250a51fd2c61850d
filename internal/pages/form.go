package pages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// problem is what is wrong with a form that was sent: a sentence, and the field that it is about, if it is about one.
type problem struct{ Field, Text string }

// wrong marks the field that a problem is about, for those who do not see where it stands.
func wrong(problems []problem, field string) template.HTMLAttr {
	if slices.ContainsFunc(problems, func(p problem) bool { return p.Field == field }) {
		return `aria-invalid="true" aria-describedby="problem"`
	}
	return ""
}

// formHours is how long a form may be open before it is sent.
const formHours = 12

// errForm reports a form that was not made for this address, or too long ago.
var errForm = errors.New("the form is not one that was shown here")

// formToken returns the token of the forms of a page: the hour it was made in, and a keyed hash of that and the address. The
// address itself has a secret, so another site can neither know the token nor make one.
func (p *Pages) formToken(path string) string {
	return p.tokenOf(path, p.opts.Clock().Unix()/3600)
}

// proof returns what shows that somebody was sent a link: a keyed hash of what the link is for and until when it is good.
func (p *Pages) proof(purpose, id string, until int64) string {
	mac := hmac.New(sha256.New, p.opts.Secret)
	mac.Write(binary.BigEndian.AppendUint64([]byte("proof "), uint64(until)))
	mac.Write([]byte(purpose + " " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

// proven reports whether a request has the proof of a link that is good still.
func (p *Pages) proven(r *http.Request, purpose, id string) bool {
	until, err := strconv.ParseInt(r.PathValue("expires"), 10, 64)
	return err == nil && p.opts.Clock().Unix() < until && hmac.Equal([]byte(r.PathValue("proof")), []byte(p.proof(purpose, id, until)))
}

// used remembers what may happen once only until a time.
type used struct {
	mu    sync.Mutex // guards the field below
	until map[string]time.Time
}

// first reports whether key is new, and remembers it until a time.
func (u *used) first(key string, now, until time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, t := range u.until {
		if !now.Before(t) {
			delete(u.until, k)
		}
	}
	if _, there := u.until[key]; there {
		return false
	}
	if u.until == nil {
		u.until = make(map[string]time.Time)
	}
	u.until[key] = until
	return true
}

// window counts what may happen only so often in a minute, by whom.
type window struct {
	mu     sync.Mutex // guards the fields below
	minute int64
	counts map[string]int
}

// maxCounted bounds how many are counted apart; who comes after them waits for the next minute.
const maxCounted = 100_000

// allow counts one more of key, and reports whether that is at most so many in this minute.
func (w *window) allow(key string, most int, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if minute := now.Unix() / 60; minute != w.minute || w.counts == nil {
		w.minute, w.counts = minute, make(map[string]int)
	}
	if _, there := w.counts[key]; !there && len(w.counts) >= maxCounted {
		return false
	}
	w.counts[key]++
	return w.counts[key] <= most
}

func (p *Pages) tokenOf(path string, hour int64) string {
	mac := hmac.New(sha256.New, p.opts.Secret)
	mac.Write(binary.BigEndian.AppendUint64([]byte("form "), uint64(hour)))
	mac.Write([]byte(path))
	return strconv.FormatInt(hour, 36) + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// form reads the form that a request brings, if it was made for the request's address.
func (p *Pages) form(r *http.Request) error { return p.formFor(r, "") }

// formFor is form for whoever has signed in: the form was made for that session, too.
func (p *Pages) formFor(r *http.Request, session string) error {
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return errForm
	}
	token := r.PostForm.Get("form")
	made, _, _ := strings.Cut(token, ".")
	hour, err := strconv.ParseInt(made, 36, 64)
	age := p.opts.Clock().Sub(time.Unix(hour*3600, 0))
	if err != nil || age < 0 || age > formHours*time.Hour || !hmac.Equal([]byte(token), []byte(p.tokenOf(r.URL.Path+session, hour))) {
		return errForm
	}
	return nil
}
