package ingest

import (
	"errors"
	"fmt"
	"time"
)

// allOf believes a delivery that every kind believes.
type allOf []kind

// keys are those of the first kind that has any.
func (a allOf) keys() int {
	for _, k := range a {
		if n := k.keys(); n > 0 {
			return n
		}
	}
	return 0
}

// Glance refuses what any kind refuses.
func (a allOf) Glance(d Delivery) error {
	for _, k := range a {
		if err := k.Glance(d); err != nil {
			return err
		}
	}
	return nil
}

// Verify joins what the kinds prove.
func (a allOf) Verify(d Delivery) (Verified, error) {
	var all Verified
	keyed := false
	for _, k := range a {
		v, err := k.Verify(d)
		if err != nil {
			return Verified{}, err
		}
		if !keyed && k.keys() > 0 {
			all.Key, keyed = v.Key, true
		}
		all.Headers = append(all.Headers, v.Headers...)
		all.Whole = all.Whole || v.Whole
		if v.Issuer != "" {
			all.Issuer, all.Claims = v.Issuer, v.Claims
		}
		if v.Body != nil {
			all.Body = v.Body
		}
		if v.Pending != nil {
			all.Pending = v.Pending
		}
	}
	return all, nil
}

func (a allOf) sign(d Delivery, id string, now time.Time) error {
	for _, k := range a {
		s, ok := k.(signer)
		if !ok {
			return errors.New("only its sender can sign for all of its kinds: let that send")
		}
		if err := s.sign(d, id, now); err != nil {
			return err
		}
	}
	return nil
}

// anyOf believes a delivery that one kind believes; the first that does is taken.
type anyOf []kind

// keys are those of all kinds, one after the other.
func (a anyOf) keys() int {
	n := 0
	for _, k := range a {
		n += k.keys()
	}
	return n
}

// Glance refuses what every kind refuses.
func (a anyOf) Glance(d Delivery) error {
	var errs []error
	for _, k := range a {
		err := k.Glance(d)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return noneOf(errs)
}

// Verify gives what the first kind proves that believes the delivery.
func (a anyOf) Verify(d Delivery) (Verified, error) {
	var errs []error
	offset := 0
	for _, k := range a {
		v, err := k.Verify(d)
		if err == nil {
			v.Key += offset
			return v, nil
		}
		d.say(false, "one of several", err.Error)
		errs = append(errs, err)
		offset += k.keys()
	}
	return Verified{}, noneOf(errs)
}

// noneOf says on one line why none of several was believed.
func noneOf(errs []error) error {
	text := ""
	for i, err := range errs {
		if i > 0 {
			text += ", "
		}
		text += err.Error()
	}
	return severally{text: "none of several: " + text, errs: errs}
}

type severally struct {
	text string
	errs []error
}

func (s severally) Error() string   { return s.text }
func (s severally) Unwrap() []error { return s.errs }

func (a anyOf) sign(d Delivery, id string, now time.Time) error {
	for _, k := range a {
		if s, ok := k.(signer); ok {
			return s.sign(d, id, now)
		}
	}
	return fmt.Errorf("only its sender can sign for any of its kinds: let that send")
}
