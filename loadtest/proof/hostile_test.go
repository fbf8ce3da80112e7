package main

import "testing"

func TestCountCase(t *testing.T) {
	good, bad := map[string]int{}, map[string]int{}
	for _, line := range []string{`{"Action":"run","Test":"TestA/x"}`, `{"Action":"pass","Test":"TestA/x"}`, `{"Action":"pass","Test":"TestA/y/z"}`,
		`{"Action":"pass","Test":"TestA"}`, `{"Action":"pass","Test":"TestB"}`, `{"Action":"fail","Test":"TestC/x"}`, `{"Action":"pass","Test":"TestC/y"}`,
		`{"Action":"fail","Test":"TestC"}`, `{"Action":"pass","Test":"TestD/x"}`, `{"Action":"fail","Test":"TestD"}`, `{"Action":"skip","Test":"TestE"}`,
		`{"Action":"pass"}`, `no JSON`} {
		countCase([]byte(line), good, bad)
	}
	for family, want := range map[string][2]int{"TestA": {2, 0}, "TestB": {1, 0}, "TestC": {1, 1}, "TestD": {1, 1}, "TestE": {0, 1}} {
		if got := [2]int{good[family], bad[family]}; got != want {
			t.Errorf("%s: %v good and bad, want %v", family, got, want)
		}
	}
}
