"""What lava-loihi would bring, on this computer: adapters that pass spikes on, and a host."""
