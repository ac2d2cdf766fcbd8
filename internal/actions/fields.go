package actions

import (
	"reflect"
	"slices"
	"strings"

	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
)

// userFields are what names a person.
func userFields() []Parameter { return fieldsIn(reflect.TypeFor[events.UserRef]()) }

// appFields are those of an app.
func appFields() []Parameter { return fieldsIn(reflect.TypeFor[events.App]()) }

// changeFields are those of an app that can change, and those of its client as the API spells them.
func changeFields() []Parameter {
	list := appFields()
	for _, f := range fieldsIn(reflect.TypeFor[transmit.Update]()) {
		if !slices.ContainsFunc(list, func(known Parameter) bool { return known.Name == f.Name }) {
			list = append(list, f)
		}
	}
	return list
}

// fieldsIn lists the members that JSON gives a struct.
func fieldsIn(t reflect.Type) []Parameter {
	var list []Parameter
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			list = append(list, Parameter{Name: name, Form: formOfField(f.Type)})
		}
	}
	return list
}

func formOfField(t reflect.Type) Form {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.String:
		return Text
	case t.Kind() == reflect.Bool:
		return Flag
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return List
	}
	return Any
}
