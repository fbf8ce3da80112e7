package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each of three hubs is killed in turn: what Alice says goes through, and is there in the end.
func TestMeshGoesOnWithoutAnyOneHub(t *testing.T) {
	t.Setenv(asMain, "1")
	dir := t.TempDir()
	tw := startTown(t, dir, "--processes", "--restart", "--hubs", "3")
	api := tw.base(t) + "/api/v10"
	status, account := post(t, api+"/auth/register", "", `{"username":"alice","login":"alice","password":"correct horse battery"}`)
	if status != 201 {
		t.Fatalf("register: got %d %v", status, account)
	}
	token := fmt.Sprint(account["token"])
	_, guild := post(t, api+"/guilds", token, `{"name":"Tea room"}`)
	_, channel := post(t, fmt.Sprintf("%s/guilds/%v/channels", api, guild["id"]), token, `{"name":"tea"}`)
	url := fmt.Sprintf("%s/channels/%v/messages", api, channel["id"])
	for i := range 3 {
		name := fmt.Sprintf("hub-%d", i+1)
		old := readMesh(t, dir)[name]
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		began := time.Now()
		body := fmt.Sprintf(`{"content":"%d","nonce":"%d","enforce_nonce":true}`, i, i)
		until(t, "Alice is heard without "+name, func() bool {
			status, _ := post(t, url, token, body)
			return status == 200
		})
		t.Logf("%s was killed: a message was acknowledged after %s", name, time.Since(began).Round(time.Millisecond))
		until(t, name+" is back", func() bool {
			r := readMesh(t, dir)[name]
			status, _ := get("http://" + r.Admin + "/readyz")
			return r.PID != 0 && r.PID != old.PID && status == 200
		})
	}
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if n := strings.Count(string(text), fmt.Sprintf(`"content":"%d"`, i)); n != 1 {
			t.Errorf("message %d is there %d times: %s", i, n, text)
		}
	}
	tw.leave(t)
	var out, log bytes.Buffer
	err = run(t.Context(), []string{"dev", "--data", dir, "--http", "127.0.0.1:0", "--tls", "", "--admin", "127.0.0.1:0"}, noEnv, &out, &log)
	if err == nil || !strings.Contains(err.Error(), "--hubs 3") {
		t.Errorf("one hub on the log of three: got %v, want what to do", err)
	}
}
