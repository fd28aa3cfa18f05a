package chain

import (
	"bytes"
	"crypto/sha256"
)

// Reseal gives a changed segment a seal that fits.
func Reseal(text []byte) []byte {
	i := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	m, _ := ParseMark(text[i:])
	sum := sha256.New()
	sum.Write(text[:i])
	return append(text[:i:i], sealed(Lines, 0, m, sum)...)
}
