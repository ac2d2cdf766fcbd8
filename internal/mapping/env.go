package mapping

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/expr"
)

// The names that expressions may use.
const (
	nameBody     = "body"
	nameItem     = "item"
	nameHeader   = "header"
	nameQuery    = "query"
	nameReceived = "received"
	nameVerified = "verified"
)

// maxParts is how many arguments digest takes.
const maxParts = 8

// newEnv gives the environment of a mapping's expressions, which is made once. It is never changed: variables extend it.
var newEnv = sync.OnceValues(makeEnv)

// makeEnv makes it. The body is of no type that is known before it comes.
func makeEnv() (*cel.Env, error) {
	texts := cel.MapType(cel.StringType, cel.StringType)
	options := append(expr.Limits(),
		cel.OptionalTypes(),
		expr.LowerASCII(),
		cel.Variable(nameBody, cel.DynType),
		cel.Variable(nameItem, cel.DynType),
		cel.Variable(nameHeader, texts),
		cel.Variable(nameQuery, texts),
		cel.Variable(nameReceived, cel.TimestampType),
		cel.Variable(nameVerified, cel.MapType(cel.StringType, cel.DynType)),
		digest(), entries(), day(), text(),
		cel.Function("json", cel.Overload("json_string", []*cel.Type{cel.StringType}, cel.DynType, cel.UnaryBinding(parseText))),
		cel.Function("lower", cel.Overload("lower_string", []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(lower))),
		cel.Function("first", cel.Overload("first_list", []*cel.Type{cel.ListType(cel.DynType)}, cel.OptionalType(cel.DynType), cel.UnaryBinding(first))),
	)
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("expressions of a mapping: %w", err)
	}
	return env, nil
}

// digest adds digest(a, b, …): 32 hex digits of SHA-256 over what the arguments say, in their order. One list counts
// as its elements.
func digest() cel.EnvOption {
	var overloads []cel.FunctionOpt
	var args []*cel.Type
	for n := 1; n <= maxParts; n++ {
		args = append(args, cel.DynType)
		overloads = append(overloads, cel.Overload("digest_"+strconv.Itoa(n), append([]*cel.Type{}, args...), cel.StringType,
			cel.FunctionBinding(digestOf)))
	}
	return cel.Function("digest", overloads...)
}

func digestOf(args ...ref.Val) ref.Val {
	if list, ok := args[0].(traits.Lister); ok && len(args) == 1 {
		args = nil
		for it := list.Iterator(); it.HasNext() == types.True; {
			args = append(args, it.Next())
		}
	}
	h := sha256.New()
	for _, a := range args {
		v, err := plain(a)
		if err != nil {
			return types.NewErr("digest: %v", err)
		}
		// Members come in the order of their names: the same content is the same text.
		b, err := json.Marshal(v)
		if err != nil {
			return types.NewErr("digest: cannot be written as JSON")
		}
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	return types.String(hex.EncodeToString(h.Sum(nil)[:16]))
}

// parseText is json(text): some senders put JSON into a string of JSON.
func parseText(v ref.Val) ref.Val {
	s, ok := v.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	tree, err := ParseJSON([]byte(s))
	if err != nil {
		return types.NewErr("not JSON")
	}
	return inOrder{}.NativeToValue(tree)
}

func lower(v ref.Val) ref.Val {
	s, ok := v.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.String(strings.ToLower(s))
}

// first is the first element of a list as an optional value: none when the list is empty.
func first(v ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if list.Size() == types.IntZero {
		return types.OptionalNone
	}
	return types.OptionalOf(list.Get(types.IntZero))
}

// maxPlain bounds one value that a mapping makes, in bytes: no event is larger.
const maxPlain = 1 << 20

// plain is expr.Plain for values that may be optional: none is nothing.
func plain(v ref.Val) (any, error) {
	if o, ok := v.(*types.Optional); ok {
		if !o.HasValue() {
			return nil, nil
		}
		return plain(o.GetValue())
	}
	return expr.Plain(v, maxPlain)
}

// textOf gives what stands for a text: nothing is the empty text, a whole number its digits.
func textOf(v ref.Val) (string, bool) {
	switch x := v.(type) {
	case types.String:
		return string(x), true
	case types.Null:
		return "", true
	case types.Int:
		return strconv.FormatInt(int64(x), 10), true
	case types.Uint:
		return strconv.FormatUint(uint64(x), 10), true
	case types.Double:
		f := float64(x)
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return "", false
		}
		return strconv.FormatFloat(f, 'f', -1, 64), true
	case types.Timestamp:
		return x.UTC().Format(time.RFC3339Nano), true
	case *types.Optional:
		if !x.HasValue() {
			return "", true
		}
		return textOf(x.GetValue())
	}
	return "", false
}
