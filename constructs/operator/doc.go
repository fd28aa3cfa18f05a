// Package operator says what people may do, by intent.
package operator
