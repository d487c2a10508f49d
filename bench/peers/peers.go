//go:build peers

// Package peers pins the push systems that are built to be measured beside Bellwire. Nothing of
// them is part of Bellwire.
package peers

import (
	_ "github.com/centrifugal/centrifugo/v6"
	_ "github.com/dunglas/mercure/cmd/mercure"
)
