package publisher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// privateRoot is the first token of the subjects that private streams listen on.
const privateRoot = "_tally."

// Private returns the stream that cfg names, which is made where it is missing, and the
// prefix it listens on: a random one, kept in the stream's configuration. It stores what
// comes there as public, followed by the rest of the subject. So nobody can put anything
// into it by naming one of its subjects where the server takes a subject at a client's
// word, as it does for the replies of its own API.
//
// Where the stream is there, its limits and replicas become those of cfg. It fails if the stream
// was not made by Private for the same public subjects.
func Private(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig, public string) (s jetstream.Stream, prefix string, err error) {
	for {
		s, err = js.Stream(ctx, cfg.Name)
		if err == nil {
			return adopt(ctx, js, s, cfg, public)
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, "", fmt.Errorf("looking for the stream %s: %w", cfg.Name, err)
		}
		prefix = listen(&cfg, public)
		s, err = js.CreateStream(ctx, cfg)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			continue // somebody was faster
		}
		if err != nil {
			return nil, "", fmt.Errorf("making the stream %s: %w", cfg.Name, err)
		}
		return s, prefix, nil
	}
}

// listen lets cfg listen on a new private prefix, which it returns.
func listen(cfg *jetstream.StreamConfig, public string) (prefix string) {
	prefix = privateRoot + rand.Text()
	cfg.Subjects = []string{prefix + ".>"}
	cfg.SubjectTransform = &jetstream.SubjectTransformConfig{Source: prefix + ".>", Destination: public + ".>"}
	return prefix
}

// adopt checks that s is a private stream for public, and brings its limits up to date.
func adopt(ctx context.Context, js jetstream.JetStream, s jetstream.Stream, want jetstream.StreamConfig, public string) (jetstream.Stream, string, error) {
	cfg := s.CachedInfo().Config
	if len(cfg.Subjects) != 1 || !strings.HasPrefix(cfg.Subjects[0], privateRoot) ||
		cfg.SubjectTransform == nil || cfg.SubjectTransform.Destination != public+".>" {
		return nil, "", fmt.Errorf("the stream %s listens on %q, and was not made by this program: delete or rename it", cfg.Name, cfg.Subjects)
	}
	prefix := strings.TrimSuffix(cfg.Subjects[0], ".>")
	limit := func(n int64) int64 { // as the server puts "none"
		if n == 0 {
			return -1
		}
		return n
	}
	replicas := max(want.Replicas, 1)
	if cfg.MaxMsgs == limit(want.MaxMsgs) && cfg.MaxBytes == limit(want.MaxBytes) && cfg.MaxAge == want.MaxAge && cfg.Replicas == replicas {
		return s, prefix, nil
	}
	cfg.MaxMsgs, cfg.MaxBytes, cfg.MaxAge, cfg.Replicas = want.MaxMsgs, want.MaxBytes, want.MaxAge, replicas
	s, err := js.UpdateStream(ctx, cfg)
	if err != nil {
		return nil, "", fmt.Errorf("changing the limits of the stream %s: %w", cfg.Name, err)
	}
	return s, prefix, nil
}
