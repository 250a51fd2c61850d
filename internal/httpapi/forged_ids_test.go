package httpapi_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// identity is what an identity looks like, in paths and bodies. It has the prefix of its kind.
var identity = regexp.MustCompile(`\b([a-z]+)_([0-9A-Z]{26}|[0-9A-Z]{16})\b`)

// identities are identities that exist, by their kinds, in the order in which they were seen.
type identities map[string][]string

// note takes the identities of an answer.
func (ids identities) note(raw []byte) {
	for _, m := range identity.FindAllSubmatch(raw, -1) {
		kind, id := string(m[1]), string(m[0])
		if !slices.Contains(ids[kind], id) {
			ids[kind] = append(ids[kind], id)
		}
	}
}

// disguised returns an identity that has the form of a kind and is that of something of another kind; "" if there is none.
func (ids identities) disguised(kind string, n int) string {
	from, suffix, _ := strings.Cut(ids.other(kind, n), "_")
	reservation := func(kind string) bool { return kind == "ent" || kind == "com" } // which are one thing under two names
	if len(suffix) != len(nobody(kind))-len(kind)-1 || slices.Contains(ids[kind], kind+"_"+suffix) || reservation(kind) && reservation(from) {
		return ""
	}
	return kind + "_" + suffix
}

// other returns an identity of another kind, not always the same.
func (ids identities) other(kind string, n int) string {
	var kinds []string
	for k, list := range ids {
		if k != kind && len(list) > 0 && k != "tc" {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	slices.Sort(kinds)
	list := ids[kinds[n%len(kinds)]]
	return list[len(list)-1]
}

// nobody returns an identity of a kind that nothing has.
func nobody(kind string) string {
	if kind == "tc" {
		return "tc_0123456789ABCDEF"
	}
	return kind + "_01ARZ3NDEKTSV4RRFFQ69G5FAV"
}

// forge sends a request that would be granted with each of the identities in it replaced: by one that nothing has, by those of the same kind that
// are another merchant's, and by the merchant's own of other kinds, as they are and in the form of that kind. None may be granted, and what is
// another's must be answered as what there is not, to the word. So it is with an idempotency key that was used, too.
func (c *conformance) forge(id, method, path, body string, headers ...string) {
	c.t.Helper()
	if c.strangers == nil {
		return
	}
	whole := path + "\x00" + body
	for _, at := range identity.FindAllStringSubmatchIndex(whole, -1) {
		given, kind := whole[at[0]:at[1]], whole[at[2]:at[3]]
		send := func(with string) reply {
			path, body, _ := strings.Cut(whole[:at[0]]+with+whole[at[1]:], "\x00")
			c.forged++
			before := c.server.Sequencer.Applied()
			r := c.call(c.key, method, path, body, headers...)
			if after := c.server.Sequencer.Applied(); after != before || r.status >= 500 || method != http.MethodGet && r.status < 300 && r.status != http.StatusMultiStatus {
				c.t.Errorf("%s with %s for %s answers %d %s, and the log is at %d, from %d", id, with, given, r.status, r.raw, after, before)
			}
			return r
		}
		want := send(nobody(kind))
		for _, stranger := range c.strangers[kind] {
			c.same(id, given, stranger, want, send(stranger))
		}
		for n := range 3 {
			if own := c.own.other(kind, c.forged+n); own != "" {
				if r := send(own); r.status < 400 && r.status != want.status && fmt.Sprint(r.body["data"]) != "[]" {
					c.t.Errorf("%s with %s for %s answers %d %s", id, own, given, r.status, r.raw)
				}
			}
			if own := c.own.disguised(kind, c.forged+n); own != "" {
				c.same(id, given, own, want, send(own))
			}
		}
	}
}

// same fails the test where what is not the merchant's is answered in another way than what there is not.
func (c *conformance) same(id, given, with string, want, got reply) {
	c.t.Helper()
	mask := func(r reply) string { return identity.ReplaceAllString(string(r.raw), "…") }
	if got.status != want.status || mask(got) != mask(want) {
		c.t.Errorf("%s with %s for %s answers %d %s, and with nothing's %d %s", id, with, given, got.status, got.raw, want.status, want.raw)
	}
}
