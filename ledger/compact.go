package ledger

import (
	"context"
	"fmt"
)

// Compact rewrites the store so that it takes as little room as it can. It is for
// measuring and for archives; a ledger in use compacts itself bit by bit.
func (l *Log) Compact(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if err := l.db.Flush(); err != nil {
		return fmt.Errorf("compacting: %w", err)
	}
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xFF}, true); err != nil {
		return fmt.Errorf("compacting: %w", err)
	}
	return nil
}
