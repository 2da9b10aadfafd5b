"""The stream: rides in, prediction events out, by Lambda or by consumers in the cluster."""
