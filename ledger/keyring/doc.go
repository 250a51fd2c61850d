// Package keyring keeps the keys that personal data is sealed under, one for each
// consumer, so that a person can be erased from a log that is never rewritten.
//
// # Model
//
// A consumer's key is made once, by Create, and seals what is known about the
// consumer: Seal gives an [events.Sealed], Open reads it again. Destroy ends the
// key, and with it everything that was ever sealed under it, wherever copies of
// that are. A consumer has no key, a key, or a tombstone, and goes through these
// in this order: nothing brings a destroyed key back, not even a mirror that did
// not hear of it.
//
// Keys are kept wrapped, that is encrypted by a master key, which lies in a file
// of its own. One key more, the root, belongs to no consumer: from it come the
// keyed digests by which a person is looked up without being named, and by which
// the repeat of a command is recognized.
//
// # On disk
//
//	master.key   the master key as text; two of them while a rotation is under way
//	consumers    a head of 4096 bytes, then one slot of 128 bytes for each consumer
//	instance     the random identity of this directory
//	LOCK         held by the process that has the keyring open
//
// The head holds the format and how many slots are known to be on disk, twice, and
// is written turn by turn. A slot holds, big endian, with what begins where:
//
//	0    revision: 1, 2, 3… counts every change that was made to any slot
//	8    how many slots were on disk when this one was written
//	16   consumer
//	32   state: 1 a key, 2 a tombstone, 3 void
//	33   length of the blob
//	34   the blob: state, identity of the master key (8), nonce (12), and the key
//	     encrypted with AES-256-GCM, of which a tombstone has the tag alone
//	124  CRC-32C of the 124 bytes before
//
// Slots are appended; they are overwritten in place to destroy a key or to wrap it
// anew. A slot never spans two sectors, so a disk writes it whole or not at all.
// A store of slots was chosen over an LSM tree because such a tree keeps what it
// deleted in old tables and logs for an unknown time, and over a file that only
// grows because that keeps it for ever.
//
// # What Create and Destroy guarantee
//
// When they return nil the change is on disk. Calls that come at the same time
// share one sync. After [ErrFailed] the outcome is unknown, and the keyring takes no
// further change until it is opened again.
//
// After Destroy no file of this directory holds the key in any form. That is no
// promise about older backups, about a mirror before it has followed, or about
// what a file system or a flash disk keeps of overwritten blocks.
//
// Open refuses a store in which anything that was on disk before has changed, and
// names the place. What a power cut tore off the last writes, which nobody was
// promised, is dropped. The two cannot be told apart where a power cut and damage
// strike the very last writes together.
//
// # Concurrency
//
// All methods of a Keyring may be called from any goroutine. None is started.
// Lock order: Keyring.rotation, Keyring.writer, Keyring.mu; Keyring.slots has a lock of its
// own, taken last. Keyring.mu is never held during I/O.
package keyring
