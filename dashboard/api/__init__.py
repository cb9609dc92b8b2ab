"""The HTTP API: routes beside the app's pages, on the same networks and in the same queue."""
