// Package words makes text of counts and lists.
package words

import (
	"strconv"
	"strings"
)

// Count counts things: "1 subnet", "2 subnets".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// Wrap lists items with commas between them, in lines of about width characters. All
// but the first begin with indent.
func Wrap(items []string, width int, indent string) string {
	var b strings.Builder
	used := 0
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
			if used += len(item) + 2; used > width {
				b.WriteString("\n" + indent)
				used = 0
			}
			b.WriteByte(' ')
		}
		b.WriteString(item)
	}
	return b.String()
}
