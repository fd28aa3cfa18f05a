package metricalarm

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"time"
)

// evaluator computes expressions for one period. An operation on a missing value has
// none, FILL gives it one.
//
// docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
type evaluator struct {
	from  time.Time
	known map[string]*float64
	texts map[string]string
}

func (e *evaluator) named(id string) (*float64, error) {
	if text, ok := e.texts[id]; ok {
		delete(e.texts, id) // an expression that names itself is none
		value, err := e.expression(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		e.known[id] = value
	}
	value, ok := e.known[id]
	if !ok {
		return nil, fmt.Errorf("there is no metric %q", id)
	}
	return value, nil
}

// expression is read by Go's parser: its operators have the same order.
func (e *evaluator) expression(text string) (*float64, error) {
	tree, err := parser.ParseExpr(strings.NewReplacer(" AND ", " && ", " OR ", " || ").Replace(text))
	if err != nil {
		return nil, err
	}
	return e.node(tree)
}

func (e *evaluator) node(node ast.Expr) (*float64, error) {
	switch node := node.(type) {
	case *ast.ParenExpr:
		return e.node(node.X)
	case *ast.BasicLit:
		value, err := strconv.ParseFloat(node.Value, 64)
		return &value, err
	case *ast.Ident:
		return e.named(node.Name)
	case *ast.BinaryExpr:
		left, err := e.node(node.X)
		if err != nil {
			return nil, err
		}
		right, err := e.node(node.Y)
		if err != nil || left == nil || right == nil {
			return nil, err
		}
		return operate(node.Op, *left, *right)
	case *ast.CallExpr:
		name, ok := node.Fun.(*ast.Ident)
		if !ok {
			return nil, fmt.Errorf("%T is no function", node.Fun)
		}
		return e.call(name.Name, node.Args)
	}
	return nil, fmt.Errorf("%T is not known here", node)
}

func operate(op token.Token, a, b float64) (*float64, error) {
	var value float64
	truth := func(holds bool) {
		if holds {
			value = 1
		}
	}
	switch op {
	case token.ADD:
		value = a + b
	case token.SUB:
		value = a - b
	case token.MUL:
		value = a * b
	case token.GTR:
		truth(a > b)
	case token.GEQ:
		truth(a >= b)
	case token.LSS:
		truth(a < b)
	case token.LEQ:
		truth(a <= b)
	case token.LAND:
		truth(a != 0 && b != 0)
	case token.LOR:
		truth(a != 0 || b != 0)
	default:
		return nil, fmt.Errorf("operator %s is not known here", op)
	}
	return &value, nil
}

func (e *evaluator) call(name string, arguments []ast.Expr) (*float64, error) {
	want := map[string]int{"IF": 3, "FILL": 2, "DAY": 1, "HOUR": 1, "MINUTE": 1, "EPOCH": 1}[name]
	if want == 0 || len(arguments) != want {
		return nil, fmt.Errorf("%s of %d is not known here", name, len(arguments))
	}
	first, err := e.node(arguments[0])
	if err != nil {
		return nil, err
	}
	switch {
	case name == "FILL" && first == nil:
		return e.node(arguments[1])
	case name == "FILL" || first == nil:
		return first, nil
	case name == "IF" && *first != 0:
		return e.node(arguments[1])
	case name == "IF":
		return e.node(arguments[2])
	}
	at := e.from.UTC()
	value := map[string]int64{
		"DAY": int64(at.Weekday()+6)%7 + 1, "HOUR": int64(at.Hour()), "MINUTE": int64(at.Minute()), "EPOCH": at.Unix(),
	}[name]
	result := float64(value)
	return &result, nil
}
