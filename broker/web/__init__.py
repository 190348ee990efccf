"""The HTTP side: what comes in is limited, verified and handed to the flow; what goes out is signed."""
