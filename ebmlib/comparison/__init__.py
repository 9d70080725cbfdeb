"""Methods side by side on somebody's own drawings, judged by demonstrations that were kept."""
