"""The commands of `prebuffer`, one file each."""
