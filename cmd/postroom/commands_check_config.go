package main

import (
	"context"
	"errors"
)

type checkConfig struct{ listing }

// Run reads the configuration and says what it comes to. Nothing is started or
// touched.
func (c *checkConfig) Run(_ context.Context, _ *shell) error { return errors.ErrUnsupported }
