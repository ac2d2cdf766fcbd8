//go:build !unix

package embedded

import "os"

// tryLock cannot lock here: whoever starts two processes on one store is not stopped.
func tryLock(*os.File) error { return nil }
