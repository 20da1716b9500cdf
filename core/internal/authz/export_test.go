package authz

// Compare puts f in front of every comparison of a password with a hash; an error of
// it is the outcome.
func (e *Engine) Compare(f func(hash []byte) error) {
	next := e.hashes.compare
	e.hashes.compare = func(hash, password []byte) error {
		if err := f(hash); err != nil {
			return err
		}
		return next(hash, password)
	}
}

// Comparisons is how many may run at once.
func (e *Engine) Comparisons() int { return cap(e.hashes.room) }
