package main

func (r *report) writeHTML(file string) error { return nil }
