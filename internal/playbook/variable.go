package playbook

import (
	"fmt"
	"regexp"

	"cel.dev/cel-go/cel"

	"keyturn/internal/config"
)

// variablesName is what expressions call the variables of a playbook: variables.NAME.
const variablesName = "variables"

// word is what looks like a name to CEL.
var word = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// declare compiles the variables of a playbook, in the order of the file, and gives the environment that has them all.
// Each is of the type that its expression has, so that a mistake in its use is a fault of the file too. One that is
// faulty may be used as anything: its own fault is enough.
func (e *environment) declare(list []config.Variable) (*environment, map[string]*program, config.Faults) {
	if len(list) == 0 {
		return e, nil, nil
	}
	own := *e
	for _, v := range list {
		own.variables = append(own.variables, v.Name)
	}
	programs := map[string]*program{}
	var faults config.Faults
	for _, v := range list {
		name, out := variablesName+"."+v.Name, cel.DynType
		if _, issues := own.env.Parse(name); issues.Err() != nil {
			if word.MatchString(v.Name) { // the schema has said so of any other
				faults = append(faults, config.Fault{Position: v.At, What: "is a word of CEL itself: choose another name"})
			}
			continue
		}
		if v.Value != nil {
			p, found := own.compile(*v.Value)
			faults = append(faults, found...)
			if p != nil {
				programs[name], out = p, p.Type
			}
		}
		env, err := own.env.Extend(cel.Variable(name, out))
		if err != nil {
			return e, nil, append(faults, config.Fault{Position: v.At, What: fmt.Sprintf("cannot be compiled: %v", err)})
		}
		own.env = env
	}
	return &own, programs, faults
}
