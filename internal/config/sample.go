package config

import (
	"crypto/sha256"
	"encoding/base64"
)

// Samples is a Resolver for those who need no secret: whoever tries a mapping, or maps a delivery that was verified
// before. Every reference stands for a sample that is always the same, in a form that any verifier takes as text; no
// environment and no file of a secret is looked at. read reads the configuration; nil = ReadFile.
func Samples(read func(name string) ([]byte, error)) Resolver {
	if read == nil {
		read = ReadFile
	}
	return Resolver{ReadFile: read, sample: true}
}

// Sample is what Samples gives for a reference: the name of a variable, or the path of a file as it is written.
func Sample(name string) string {
	sum := sha256.Sum256([]byte("sample " + name))
	return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
}
