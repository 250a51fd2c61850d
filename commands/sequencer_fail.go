package commands

// Fail stops the sequencer from carrying out commands, as a failure of its own would: whoever publishes what it records has
// found that it must not go on. What was acknowledged stands. Any goroutine may call it.
func (s *Sequencer) Fail(err error) { s.fail(err) }
