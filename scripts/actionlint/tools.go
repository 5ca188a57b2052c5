//go:build tools

// The program that checks GitHub workflows, pinned for tests/template/test_pipelines.py.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
